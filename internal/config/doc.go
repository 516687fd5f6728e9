// Package config is the whole configuration of the daemon as one struct.
//
// Load layers defaults, a TOML file, the environment and flags. It records the origin of
// each key and reports all violations at once, each with its origin. The struct tags of
// Config are the only description of the keys: the file written by Render, the names in
// the environment and the checks derive from them.
//
// It knows neither multiaddrs nor libp2p; package daemon checks those. Every
// type here is a plain value.
package config
