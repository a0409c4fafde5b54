"""From a trained folder to answers and products: exports, and tables of many images and videos."""
