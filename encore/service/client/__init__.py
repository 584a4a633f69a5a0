"""The client: sessions of an object service.

==============  ==================================================================================
``usecases``    `Usecase`: the name and what is usual there
``failures``    refusals, as errors
``sending``     bodies of requests: compressed, measured, repeatable if they can be
``receiving``   bodies of answers: checked, and decompressed
``signing``     `SecretKey`: tokens and signed addresses
``measuring``   figures about operations
``saying``      what callers say
``asking``      requests of one session
``multipart``   objects in parts
``batches``     many changes as one body
``remote``      what a store asks
``following``   changes that others make
``session``     `Session`
``client``      `Client`
==============  ==================================================================================
"""
