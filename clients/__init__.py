"""What integrators get, made of the API's description: a Python client and a Postman collection."""
