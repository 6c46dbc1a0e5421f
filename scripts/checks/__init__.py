"""What `make check` and `make figures` read: Swift sources, the table of rooms, and the words of the documents."""
