"""The scheduler: one process that decides where every request runs. It never touches a token or a model file.

`core` is a pure state machine: events in, commands out. `edge` carries both over gRPC and ZeroMQ.
"""
