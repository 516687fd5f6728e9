// Package cputime returns the processor time of this process, for benchmarks.
package cputime
