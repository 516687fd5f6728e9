// Package statuspage is the page at / of the metrics listener, which shows the state of
// the node in a browser.
//
// The page is self-contained, works in light and dark mode and on a phone, and reads
// /status.json every two seconds. /explain/ID is the page of one of the last queries.
// Everything is read-only. What names a peer, an address, a key or a path is shown only if
// the request's host is an IP address or localhost (against DNS rebinding). However many
// clients read the status, the node is asked at most once a second.
package statuspage
