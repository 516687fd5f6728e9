package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseScenario(t *testing.T) {
	s, err := ParseScenario("x", `
title Two words   # a comment
nodes 50
every 10s from 1m until 2m lookup 3
at 5m restart 0.5 30s
`)
	require.NoError(t, err)
	require.Equal(t, "Two words", s.Title)
	require.Equal(t, Step{At: time.Minute, Every: 10 * time.Second, Until: 2 * time.Minute, Text: "lookup 3"}, bare(s.Steps[0]))
	require.Equal(t, Step{At: 5 * time.Minute, Text: "restart 0.5 30s"}, bare(s.Steps[1]))
	o := DefaultOptions()
	require.NoError(t, s.Apply(&o))
	require.Equal(t, 50, o.Nodes)
}

func bare(s Step) Step {
	s.act = nil
	return s
}

func TestBadScenarios(t *testing.T) {
	for _, text := range []string{
		"nodes", "nodes x", "nope 1", "at", "at 1m", "at x lookup", "at 1m nope",
		"at 1m lookup x", "at 1m lookup 0", "at 1m kill", "at 1m kill 2", "at 1m restart 0.5 x",
		"every 1s from lookup", "at 1m phase", "at 1m sybils x",
	} {
		_, err := ParseScenario("file", "# first line\n"+text)
		require.ErrorIs(t, err, ErrScenario, text)
		require.ErrorContains(t, err, "file:2:", text)
	}
	_, err := ShippedScenario("nope")
	require.ErrorIs(t, err, ErrScenario)
}

func TestOptions(t *testing.T) {
	o := DefaultOptions()
	require.Empty(t, o.String())
	for _, set := range [][2]string{{"nodes", "5"}, {"churn", ChurnMixture}, {"liveness", "90m"}, {"loss", "0.01"}, {"hours", "1.5"}, {"check", "true"}} {
		require.NoError(t, o.Set(set[0], set[1]))
	}
	require.Equal(t, "--nodes 5 --hours 1.5 --churn mixture --loss 0.01 --check true --liveness 1h30m", o.String())
	for _, set := range [][2]string{
		{"nodes", "1"}, {"nodes", "x"}, {"churn", "x"}, {"loss", "1"}, {"loss", "-1"},
		{"hours", "0"}, {"warmup", "-1s"}, {"seed", "-1"}, {"check", "2"}, {"nope", "1"},
	} {
		require.ErrorIs(t, o.Set(set[0], set[1]), ErrOption, set)
	}
}
