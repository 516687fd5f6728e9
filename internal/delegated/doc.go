// Package delegated offers a node's lookups over HTTP: the delegated routing API
// /routing/v1 of the IPFS specifications, for clients that do not speak the DHT protocol,
// such as browsers.
//
// It returns providers, peers, closest peers and IPNS records as the DHT has them. The
// requests in progress, their time and the length of answers are bounded. It does not
// announce content for clients: a provider record names the peer that has the content,
// and that is never the HTTP client. A client may store an IPNS record, because the
// record carries its owner's signature; the owner must republish it.
//
// An error never looks like an empty answer: the status is 503 while there is no peer to
// ask, 504 after the timeout, 409 for a record older than the stored one. By default no
// answer contains private or loopback addresses. With Options.PrivateAddresses, clients
// get them that connect from such an address, directly and by IP address; a page of
// another origin never does.
//
// Its only state is the count of requests in progress. Handler is safe for concurrent
// use.
package delegated
