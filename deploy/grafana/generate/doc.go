// Command generate describes the Grafana dashboard of the node and writes it as
// deploy/grafana/holdfast.json.
//
// The row_*.go files define the rows and their panels: a title, a description, a unit,
// queries, and the alerts whose runbooks the panel links to. fleet.go has the table of nodes.
// build.go turns them into the JSON that Grafana imports (schemaVersion 39, Grafana 10.4 and
// later). The JSON is never edited by hand:
//
//	go generate ./deploy/grafana/generate
//
// In the queries {@ is short for {job=~"$job",instance=~"$instance" and [@] for
// [$__rate_interval], so that no query can omit the variables.
package main

//go:generate go run . ../holdfast.json
