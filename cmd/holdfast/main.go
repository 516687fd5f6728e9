// Command holdfast is a Kademlia DHT node for libp2p networks, and its command
// line.
//
// This package parses arguments, calls a Backend and prints: results on stdout, logs and
// progress on stderr. It does no other work. The Backend is either a running daemon
// behind its admin socket or, with --bootstrap, a short-lived node in this process. The
// commands do not distinguish them.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 no daemon reached,
// 130 interrupted. With --json an error is one object on stderr.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(execute("")) }

// execute runs the command line of this process and returns its exit code. root is put
// before the directories of systemd; tests have their own.
func execute(root string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	a := &app{in: os.Stdin, out: os.Stdout, errs: os.Stderr, getenv: os.Getenv, environ: os.Environ(), systemRoot: root}
	return a.run(ctx, os.Args[1:])
}
