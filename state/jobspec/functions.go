package jobspec

import (
	"crypto/fips140"
	"fmt"
	"maps"
	"sync"

	"github.com/hashicorp/go-cty-funcs/cidr"
	"github.com/hashicorp/go-cty-funcs/crypto"
	"github.com/hashicorp/go-cty-funcs/encoding"
	"github.com/hashicorp/go-cty-funcs/uuid"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// pureFunctions are the functions of job files that look at their arguments
// alone. Some are not what other tools call by that name: reverse reverses a
// string as strrev does, and index takes a key, not a value.
var pureFunctions = sync.OnceValue(func() map[string]function.Function {
	all := map[string]function.Function{}
	maps.Copy(all, collectionFunctions())
	maps.Copy(all, textFunctions())
	maps.Copy(all, numberFunctions())
	maps.Copy(all, codecFunctions())
	return all
})

func collectionFunctions() map[string]function.Function {
	return map[string]function.Function{
		"chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
		"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
		"distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc,
		"index": stdlib.IndexFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc,
		"merge": stdlib.MergeFunc, "range": stdlib.RangeFunc, "reverse": stdlib.ReverseFunc,
		"setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc, "setunion": stdlib.SetUnionFunc,
		"slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
		"can": tryfunc.CanFunc, "try": tryfunc.TryFunc, "convert": typeexpr.ConvertFunc,
	}
}

func textFunctions() map[string]function.Function {
	return map[string]function.Function{
		"chomp": stdlib.ChompFunc, "format": stdlib.FormatFunc, "formatdate": stdlib.FormatDateFunc,
		"formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc, "join": stdlib.JoinFunc,
		"lower": stdlib.LowerFunc, "regex_replace": stdlib.RegexReplaceFunc, "replace": stdlib.ReplaceFunc,
		"split": stdlib.SplitFunc, "strlen": stdlib.StrlenFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc,
		"timeadd": stdlib.TimeAddFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc,
		"upper": stdlib.UpperFunc,
	}
}

func numberFunctions() map[string]function.Function {
	return map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "log": stdlib.LogFunc,
		"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc,
		"signum": stdlib.SignumFunc, "cidrhost": cidr.HostFunc, "cidrnetmask": cidr.NetmaskFunc,
		"cidrsubnet": cidr.SubnetFunc, "cidrsubnets": cidr.SubnetsFunc,
	}
}

func codecFunctions() map[string]function.Function {
	out := map[string]function.Function{
		"base64decode": encoding.Base64DecodeFunc, "base64encode": encoding.Base64EncodeFunc,
		"urlencode": encoding.URLEncodeFunc, "csvdecode": stdlib.CSVDecodeFunc,
		"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc,
		"yamldecode": ctyyaml.YAMLDecodeFunc, "yamlencode": ctyyaml.YAMLEncodeFunc,
		"bcrypt": crypto.BcryptFunc, "rsadecrypt": crypto.RsaDecryptFunc,
		"sha256": crypto.Sha256Func, "sha512": crypto.Sha512Func,
		"uuidv4": uuid.V4Func, "uuidv5": uuid.V5Func,
	}
	if !fips140.Enabled() { // Nomad leaves them out there
		out["md5"], out["sha1"] = crypto.Md5Func, crypto.Sha1Func
	}
	return out
}

// volatile functions give another value each time, which no edit could be verified
// against: pinned, they give the same.
var volatile = map[string]function.Function{
	"uuidv4": pinned(nil),
	"bcrypt": pinned([]function.Parameter{{Name: "str", Type: cty.String}}, function.Parameter{Name: "cost", Type: cty.Number}),
}

func pinned(params []function.Parameter, rest ...function.Parameter) function.Function {
	spec := &function.Spec{
		Params: params,
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.StringVal(fmt.Sprintf("pinned %#v", args)), nil
		},
	}
	if len(rest) > 0 {
		spec.VarParam = &rest[0]
	}
	return function.New(spec)
}

// withoutFiles is what most files need: it is made once.
var withoutFiles = sync.OnceValue(func() map[string]function.Function {
	all := maps.Clone(pureFunctions())
	maps.Copy(all, FS{}.functions())
	return all
})

// functionsFor are all functions of job files as the inputs confine them. The map
// may be shared.
func functionsFor(in Inputs) map[string]function.Function {
	if len(in.FS.Dirs) == 0 && !in.pinned {
		return withoutFiles()
	}
	all := maps.Clone(pureFunctions())
	maps.Copy(all, in.FS.functions())
	if in.pinned {
		maps.Copy(all, volatile)
	}
	return all
}
