"""Other people's captures, against Debian's tshark: `make captures`.

They are in Debian's source package of wireshark (46 MB), which is fetched by `apt-get source`: they are not
ours to keep, and too much for each run of the tests.
"""
