package dead

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// field is one value of a payload, with its path.
type field struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// payload decodes the bytes of a record of one of our topics into fields, in
// the order of the schema. Text that is no label, and bytes that are no id or
// hash, are hidden.
func payload(topic string, value []byte) ([]field, error) {
	var m proto.Message
	switch topic {
	case schemas.TopicEvents:
		m = new(goodhartv1.Event)
	case schemas.TopicFacts:
		m = new(goodhartv1.Fact)
	case schemas.TopicFeatures:
		m = new(goodhartv1.Feature)
	case schemas.TopicScores, schemas.TopicSignals, schemas.TopicKPI, schemas.TopicSelf:
		return fromJSON(value)
	default:
		return nil, errors.New("its topic is none of ours")
	}
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("it is no %s", m.ProtoReflect().Descriptor().Name())
	}
	return message(nil, "", m.ProtoReflect()), nil
}

func message(out []field, path string, m protoreflect.Message) []field {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		at := path + string(f.Name())
		if !f.IsList() {
			out = single(out, at, f, m.Get(f))
			continue
		}
		list := m.Get(f).List()
		for j := range list.Len() {
			out = single(out, fmt.Sprintf("%s[%d]", at, j), f, list.Get(j))
		}
	}
	if n := len(m.GetUnknown()); n > 0 {
		out = append(out, field{path + "?", fmt.Sprintf("(hidden: %d bytes of fields that this program does not know)", n)})
	}
	return out
}

func single(out []field, path string, f protoreflect.FieldDescriptor, v protoreflect.Value) []field {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return message(out, path+".", v.Message())
	case protoreflect.StringKind:
		return append(out, field{path, label(v.String())})
	case protoreflect.BytesKind:
		return append(out, field{path, binary(string(f.Name()), v.Bytes())})
	case protoreflect.EnumKind:
		if e := f.Enum().Values().ByNumber(v.Enum()); e != nil {
			return append(out, field{path, string(e.Name())})
		}
		return append(out, field{path, fmt.Sprintf("%d (unknown to this program)", v.Enum())})
	default:
		return append(out, field{path, v.String()})
	}
}

// binary shows the ids of our messages; other bytes may hold documents.
func binary(name string, b []byte) string {
	switch name {
	case "event_id", "request_key", "transition_id":
		if len(b) == 16 {
			return hex.EncodeToString(b)
		}
	}
	return fmt.Sprintf("(hidden: %d bytes)", len(b))
}

// fromJSON reads an object that holds one of our judgements.
func fromJSON(value []byte) ([]field, error) {
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber()
	var out []field
	if err := object(&out, "", dec); err != nil {
		return nil, errors.New("it is no JSON")
	}
	return out, nil
}

// object appends the value that comes next, under path, keeping the order of
// members.
func object(out *[]field, path string, dec *json.Decoder) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		*out = append(*out, field{path, scalar(token)})
		return nil
	}
	for i := 0; dec.More(); i++ {
		at := fmt.Sprintf("%s[%d]", path, i)
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			at = strings.TrimPrefix(path+"."+label(fmt.Sprint(name)), ".")
		}
		if err := object(out, at, dec); err != nil {
			return err
		}
	}
	if _, err = dec.Token(); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func scalar(token json.Token) string {
	switch v := token.(type) {
	case string:
		return label(v)
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	default:
		return fmt.Sprint(v)
	}
}
