void run() { kernel<<<1, 32>>>(); }
