"""Identity vendors: asked over HTTP, answering by signed callbacks."""
