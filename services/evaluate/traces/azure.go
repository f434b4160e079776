package traces

import (
	"errors"
	"fmt"
	"io"
	"time"
)

var azureColumns = []string{"TIMESTAMP", "ContextTokens", "GeneratedTokens"}

// readAzure reads requests without people. Its last line may lack its end.
func readAzure(s *Set, in *lines) error {
	in.columns = azureColumns
	of := sizes{name: in.base()}
	for {
		err := in.row()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if _, err := time.Parse("2006-01-02 15:04:05.999999999", in.fields[0]); err != nil {
			return in.wrong(azureColumns[0], fmt.Errorf("%.40q: want 2006-01-02 15:04:05.9999999", in.fields[0]))
		}
		r := Request{Context: int64(in.float(1, 0)), Output: int64(in.float(2, 0)), Read: Unknown, New: Unknown}
		if in.err != nil {
			return in.err
		}
		of.requests = append(of.requests, r)
	}
	return s.addSizes(in, of, File{Dataset: "Azure LLM inference traces 2023", Licence: "CC-BY-4.0"})
}
