# Made by generate.py from proto/tactful/v1; do not edit.
