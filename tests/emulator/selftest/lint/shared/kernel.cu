__global__ void kernel() { __shared__ float tile[32]; }
