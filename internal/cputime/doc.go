// Package cputime returns the processor time of this process, for benchmarks and for the
// history on the status page.
package cputime
