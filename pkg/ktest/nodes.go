package ktest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// Kill ends a node of Apache Kafka, 1 to 3, with kill -9; it is started again
// when the test ends, if the test does not Restart it. Like Pause it needs a
// cluster of deploy/kafka/cluster.sh: without KAFKA_DIR the test is skipped, or
// fails if REQUIRE_KAFKA=1.
func (c *Cluster) Kill(tb testing.TB, node int) {
	tb.Helper()
	c.script(tb, "kill", node)
	tb.Cleanup(func() { c.script(tb, "start") })
}

// Restart starts a node on its data, after ending it if it runs, and returns
// once it serves.
func (c *Cluster) Restart(tb testing.TB, node int) {
	tb.Helper()
	c.script(tb, "restart", node)
}

// Pause stops a node as SIGSTOP does, until Resume or the end of the test.
func (c *Cluster) Pause(tb testing.TB, node int) {
	tb.Helper()
	c.script(tb, "pause", node)
	tb.Cleanup(func() { c.script(tb, "resume", node) })
}

// Resume lets a paused node go on. Harmless on one that runs.
func (c *Cluster) Resume(tb testing.TB, node int) {
	tb.Helper()
	c.script(tb, "resume", node)
}

func (c *Cluster) script(tb testing.TB, command string, nodes ...int) {
	tb.Helper()
	if c.Fake != nil {
		tb.Fatal("kfake has no nodes to kill: ask for ktest.Apache")
	}
	if c.dir == "" {
		lack(tb, "the nodes of KAFKA_BROKERS cannot be killed: KAFKA_DIR does not say where deploy/kafka/cluster.sh runs them")
	}
	path, err := script()
	if err != nil {
		tb.Fatal(err)
	}
	args := []string{command}
	for _, node := range nodes {
		args = append(args, strconv.Itoa(node))
	}
	cmd := exec.Command(path, args...) //nolint:noctx // bounded by itself; runs in cleanups too
	cmd.Env = append(os.Environ(), "KAFKA_DIR="+c.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// script finds cluster.sh in the repository above the working directory.
func script() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find cluster.sh: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "deploy", "kafka", "cluster.sh")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find cluster.sh: no deploy/kafka above the working directory")
		}
	}
}
