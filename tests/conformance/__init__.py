"""ikepy, strongSwan and libreswan under the conformance cases, and the reports of docs/conformance."""
