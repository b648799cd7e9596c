"""The USETEM server of a Themis: its bytes, the client, and an emulator."""
