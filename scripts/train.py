"""Train a recipe: accelerate launch scripts/train.py fer2013/puzzle-3x3 --data_dir DIR (see --help)."""

from hf_hmtl.run.train import main

if __name__ == "__main__":
    main()
