"""On the path of the rig's Ironic only. Its Redfish driver hashes the BMC's password with 600 000 rounds each time that it asks a BMC,
half a second of a processor: the same question has the same answer, and is computed once."""
import functools
import hashlib

hashlib.pbkdf2_hmac = functools.lru_cache(1024)(hashlib.pbkdf2_hmac)
