// Package memlimit reads how much memory this process may use: the smallest limit of its
// control groups (a container, a systemd unit with MemoryMax=), or the memory of the machine.
// Beyond it the kernel kills the process.
package memlimit
