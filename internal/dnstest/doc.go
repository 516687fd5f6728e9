// Package dnstest provides a DNS resolver for tests: the test determines the answers, and no
// server is contacted.
package dnstest
