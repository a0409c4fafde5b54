"""`python -m hf_hmtl COMMAND`, and so `accelerate launch -m hf_hmtl COMMAND`."""

from hf_hmtl.commands import main

if __name__ == "__main__":
    main()
