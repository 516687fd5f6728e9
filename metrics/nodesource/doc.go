// Package nodesource reads a node and its database for the metrics of a scrape.
// It is apart from package metrics so that the latter stays below the node.
package nodesource
