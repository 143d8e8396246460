"""`python -m ikepy`: the same as the command `ikepy`."""

from ikepy.start import main

if __name__ == "__main__":
    main()
