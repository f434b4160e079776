package collector

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// grpcPrefixSize is the length of the prefix of a gRPC message: a flag that says
// whether it is compressed, and its length.
const grpcPrefixSize = 5

// grpcInlet is one method of OTLP/gRPC: a unary call is one HTTP/2 request.
//
// net/http serves it, not a gRPC server: that one would read and decompress a
// message of any allowed size before it shows us the key it came with, and answer
// a body that does not decode with INTERNAL. Here calls share the path of all
// other requests: key first, then the body, within the bytes there are to spare.
type grpcInlet struct{ signal signal }

// grpcRoutes is what listen.grpc serves.
func (s *service) grpcRoutes() http.Handler {
	mux := http.NewServeMux()
	for _, sig := range signals() {
		from := origin{transport: goodhartv1.Transport_TRANSPORT_OTLP_GRPC, name: transportOTLPGRPC, source: otlpSource}
		mux.Handle("POST "+sig.method, s.serve(grpcInlet{sig}, from))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeTrailersOnly(w, codes.Unimplemented, "unknown method", nil)
	})
	return mux
}

// cleartextHTTP2 is what gRPC clients without TLS speak.
func cleartextHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func (in grpcInlet) admit(r *http.Request) (form, *refusal) {
	subtype, ok := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	if !ok || subtype != "" && subtype != "+proto" && subtype[0] != ';' {
		return form{}, refuse(reasonContentType, "Content-Type is none of application/grpc, application/grpc+proto")
	}
	return in.signal.form(typeProtobuf), nil
}

func (grpcInlet) read(r *http.Request, in *intake) (*body, *refusal) {
	var prefix [grpcPrefixSize]byte
	if _, err := io.ReadFull(r.Body, prefix[:]); err != nil {
		return in.none(), readRefusal(err, false)
	}
	length := int64(binary.BigEndian.Uint32(prefix[1:]))
	encoding := ""
	switch prefix[0] {
	case 0:
		if length > in.maxBody {
			return in.none(), refuse(reasonBodyTooLarge, "the message is larger than the limit")
		}
	case 1:
		if encoding = r.Header.Get("Grpc-Encoding"); encoding == "" || encoding == "identity" {
			return in.none(), refuse(reasonBadEncoding, "the message is marked as compressed, and grpc-encoding does not say how")
		}
	default:
		return in.none(), refuse(reasonMalformed, "the message has an unknown flag")
	}
	message := &io.LimitedReader{R: r.Body, N: length}
	b, ref := in.read(message, encoding)
	if ref == nil && message.N > 0 && encoding == "" {
		return b, refuse(reasonIncomplete, "the message ended early")
	}
	return b, ref
}

func (in grpcInlet) answer(w http.ResponseWriter, _ *http.Request, res result, ref *refusal) {
	if ref != nil {
		code := ref.code()
		if ref.reason == reasonEncoding {
			code = codes.Unimplemented // as the gRPC specification wants it
			w.Header().Set("Grpc-Accept-Encoding", "gzip,deflate,zstd,identity")
		}
		writeTrailersOnly(w, code, ref.reason+": "+ref.detail, marshalStatus(ref.rpcStatus(), typeProtobuf))
		return
	}
	raw := in.signal.response(res, typeProtobuf)
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Trailer", "Grpc-Status, Grpc-Message")
	frame := make([]byte, grpcPrefixSize, grpcPrefixSize+len(raw))
	binary.BigEndian.PutUint32(frame[1:], uint32(len(raw)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append(frame, raw...)) // a client that has gone sends again
	h.Set("Grpc-Status", "0")
	h.Set("Grpc-Message", "")
}

// writeTrailersOnly answers with a status and no message.
func writeTrailersOnly(w http.ResponseWriter, code codes.Code, message string, details []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(int(code)))
	h.Set("Grpc-Message", grpcEscape(message))
	if len(details) > 0 {
		h.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(details))
	}
	w.WriteHeader(http.StatusOK)
}

// grpcEscape percent-encodes what a gRPC status message may not hold.
func grpcEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
