"""The same attacks on servers of several makes: who survives, at what price, and who else waits.

python -m benchmarks.survival                    everything, as root with rpcbind: some minutes
python -m benchmarks.survival --only rpcserver   one target
python -m benchmarks.survival --attack rpcbomb    those attacks whose name has the word
"""
