// Package dnstest is the DNS of tests: names lead where the test says, and no server is
// asked.
package dnstest
