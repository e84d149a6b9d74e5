"""The commands of the net shell, a module each; `shell/table.py` lists them."""
