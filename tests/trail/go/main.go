// Others' code about the same trail: the tree, tiles and notes of Go's checksum database (golang.org/x/mod/sumdb),
// and cosignatures and proofs of filippo.io/torchwood. The tests compare every line that this writes with their own.
//
//	trail-check tree N < questions   roots, tiles and proofs of a tree over the entries "entry 0", "entry 1", …
//	trail-check sign NAME SEED FILE  a note about the text in FILE
//	trail-check open FILE VKEY…      whether a signed checkpoint, or a proof, is right by all of these keys
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func number(text string) int64 { return must(strconv.ParseInt(text, 10, 64)) }

func digest(hashes []tlog.Hash) string {
	all := sha256.New()
	for _, each := range hashes {
		all.Write(each[:])
	}
	return hex.EncodeToString(all.Sum(nil))
}

type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for n, at := range indexes {
		found[n] = s[at]
	}
	return found, nil
}

// Each question is a line: root S | inclusion S I | consistency S OLD | tiles OLD S.
func tree(entries int64) {
	var hashes stored
	for n := int64(0); n < entries; n++ {
		added := must(tlog.StoredHashes(n, []byte(fmt.Sprintf("entry %d", n)), hashes))
		hashes = append(hashes, added...)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		asked := strings.Fields(lines.Text())
		first, second := number(asked[1]), int64(0)
		if len(asked) > 2 {
			second = number(asked[2])
		}
		switch asked[0] {
		case "root":
			root := must(tlog.TreeHash(first, hashes))
			fmt.Fprintf(out, "%s %x\n", lines.Text(), root[:])
		case "inclusion":
			fmt.Fprintln(out, lines.Text(), digest(must(tlog.ProveRecord(first, second, hashes))))
		case "consistency":
			fmt.Fprintln(out, lines.Text(), digest(must(tlog.ProveTree(first, second, hashes))))
		case "tiles":
			for _, tile := range tlog.NewTiles(torchwood.TileHeight, first, second) {
				fmt.Fprintf(out, "%s %x\n", torchwood.TilePath(tile), sha256.Sum256(must(tlog.ReadTileData(tile, hashes))))
			}
		}
	}
}

func sign(name string, seed []byte, text string) {
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	typed := append([]byte{1}, public...)
	id := sha256.Sum256(append([]byte(name+"\n"), typed...))
	private := base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	key := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, binary.BigEndian.Uint32(id[:]), private)
	signed := must(note.Sign(&note.Note{Text: text}, must(note.NewSigner(key))))
	os.Stdout.Write(signed)
}

func open(raw []byte, vkeys []string) {
	origin, _, _ := strings.Cut(vkeys[0], "+")
	policies := []torchwood.Policy{torchwood.OriginPolicy(origin)}
	for n, vkey := range vkeys {
		if n == 0 {
			policies = append(policies, torchwood.SingleVerifierPolicy(must(note.NewVerifier(vkey))))
		} else {
			policies = append(policies, torchwood.SingleVerifierPolicy(must(torchwood.NewCosignatureVerifier(vkey))))
		}
	}
	policy := torchwood.ThresholdPolicy(len(policies), policies...)
	if bytes.HasPrefix(raw, []byte("c2sp.org/tlog-proof@v1\n")) {
		entry := must(torchwood.ProofExtraData(raw))
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(entry), raw); err != nil {
			must(0, err)
		}
		fmt.Printf("proof %s\n", entry)
		return
	}
	checkpoint, opened, err := torchwood.VerifyCheckpoint(raw, policy)
	must(0, err)
	fmt.Println("checkpoint", checkpoint.Origin, checkpoint.N, checkpoint.Hash)
	for _, each := range opened.Sigs[1:] {
		fmt.Println("cosigned", each.Name, must(torchwood.CosignatureTimestamp(each)))
	}
}

func main() {
	switch os.Args[1] {
	case "tree":
		tree(number(os.Args[2]))
	case "sign":
		sign(os.Args[2], must(hex.DecodeString(os.Args[3])), string(must(os.ReadFile(os.Args[4]))))
	case "open":
		open(must(os.ReadFile(os.Args[2])), os.Args[3:])
	}
}
