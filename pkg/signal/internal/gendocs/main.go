// Gendocs writes docs/signals.md from the catalogue. It runs in pkg/signal, by go
// generate.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/goodhartlabs/goodhart/pkg/signal"
)

func main() {
	path := filepath.Join("..", "..", "docs", "signals.md")
	if err := os.WriteFile(path, []byte(signal.Doc()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}
