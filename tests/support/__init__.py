"""What tests share: real servers, models made on the spot, worlds around one process."""
