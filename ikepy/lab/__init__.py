"""The lab: test topologies of network namespaces with real gateways in them."""
