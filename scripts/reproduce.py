from hf_hmtl.commands import main

if __name__ == "__main__":
    main("reproduce")
