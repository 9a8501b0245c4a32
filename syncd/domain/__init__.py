"""The pure floor: values and decisions. No I/O, no asyncio, no clock; everything here is tested by tables.

`model` holds the words of the product as types, `errors` what to do next when something fails,
`events` parses what arrives, `routing` says which dataset an object belongs to, `planning` decides,
`labels` makes and reads label configs, `checks` holds annotations against them.
"""
