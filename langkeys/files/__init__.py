"""Read and write files with secrets safely, and set their owners."""
