// Package statuspage is the page at / of the metrics listener, which shows the state of
// the node in a browser.
//
// The page is self-contained, works in light and dark mode and on a phone, and reads
// /status.json every two seconds. It is read-only and names no peer except the node
// itself. It shows the node's ID and addresses only if the request's host is an IP
// address or localhost (against DNS rebinding). However many clients read the page, the
// node is asked at most once a second.
package statuspage
