// Package dashboard describes the Grafana dashboard of the node and writes it as
// deploy/grafana/holdfast.json.
//
// The rows and their panels stand in row_*.go, as a person thinks of them: a title,
// what it tells, a unit, queries. build.go turns them into what Grafana imports
// (schemaVersion 39, Grafana 10.4 and later). The JSON is never edited by hand:
//
//	go test ./dashboard -run TestGolden -update
//
// In the queries {@ stands for {job=~"$job",instance=~"$instance" and [@] for
// [$__rate_interval], so that none can forget the variables.
package dashboard
