"""The server: objects of any store, over HTTP.

A request is translated by ``application``, the only module that knows a framework, and handled by a
plain function in a thread.

===============  ===============================================================================
``settings``     limits, usecases: what whoever runs the server decides
``exchange``     requests and replies
``ranges``       parts of an object
``shelf``        objects in a store: attributes, expiry, versions that are being read
``describing``   objects as headers
``objects``      the life cycle of an object
``multipart``    objects that arrive in parts
``listing``      pages of keys
``inventory``    places, and how much they hold
``batches``      many changes, all or none
``feed``         changes, as they happen
``tokens``       who may do what: static tokens
``signed``       who may do what: signed tokens and addresses
``permissions``  what a token allows
``rates``        how many requests are taken
``figures``      health and metrics
``front``        the page at ``/``, for people
``routes``       which handler a path and a method mean
``service``      one store with all that
``uploads``      bodies on their way from the event loop to a thread
``application``  the ASGI application
``running``      the application on a socket
``files``        the settings in a file
===============  ===============================================================================
"""
