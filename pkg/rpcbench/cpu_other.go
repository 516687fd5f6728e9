//go:build !unix

package rpcbench

import "time"

// cpuTime returns 0: it cannot be asked for here.
func cpuTime() time.Duration { return 0 }
