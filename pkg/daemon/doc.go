// Package daemon assembles a process: data directory, identity, database, libp2p
// host, node, admin socket, metrics and health, in this order, and takes them
// apart in the reverse one.
//
// Start returns a running Daemon or an error with nothing left running; Close
// ends within ten seconds whatever hangs. Client is the short-lived variant
// without disk or sockets. The package also owns what surrounds a process: log
// levels, systemd notification, reload. It does no protocol work.
package daemon
