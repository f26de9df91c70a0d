# What the build scripts of the guests share. Sourced, not run.
#
# A *part* is a folder in the cache that one script under parts/ fills: parts/NAME sets
#   needs=(other parts)  sources=(names in sources.lock)  files=(files and folders of the tree, relative to guest/)
# and defines build_part, which is called in the empty folder $part. The folder's name carries a hash of the script and
# of all three lists, so a part is built once per content, and a change anywhere gives a new folder.
#
# What is compiled for wasm is compiled in a *place*: a new folder in /tmp, which looks like the cache and in which every
# name has the same length on every machine. clang 22 needs that: the instructions that it chooses for one file of
# llama.cpp follow the order of its allocations, hence the lengths of its arguments and of the folder that it runs in.

guest=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
root=$(dirname "$guest")
cache=${ALTIPLANO_CACHE:-$HOME/.cache/altiplano}
jobs=${ALTIPLANO_JOBS:-$(nproc)}
export LC_ALL=C  # the order of files must not depend on the user's language

die() { # sentence [hint]
  printf 'error  %s\n' "$1" >&2
  [[ -z ${2:-} ]] || printf 'hint   %s\n' "$2" >&2
  exit 1
}

# --------------------------------------------------------------------------------------------------------- fetching

locked() { # name field: one field of sources.lock (2 kind, 3 package, 4 version, 5 sha256)
  awk -v name="$1" -v field="$2" '$1 == name { print $field; found = 1 } END { exit !found }' \
    "$guest/toolchain/sources.lock" || die "sources.lock has no line '$1'"
}

has_hash() { [[ -f $1 && $(sha256sum "$1" | cut -d' ' -f1) == "$2" ]]; }

# Prints the path of a fetched source; fetches it when the cache lacks it.
fetched() { # name
  local name=$1 kind package version hash file folder
  kind=$(locked "$name" 2) package=$(locked "$name" 3) version=$(locked "$name" 4) hash=$(locked "$name" 5)
  file=$cache/sources/$package-$version
  if has_hash "$file" "$hash"; then printf '%s\n' "$file"; return; fi
  mkdir -p "$cache/sources"
  folder=$(mktemp -d "$cache/sources/fetching.XXXXXX")
  "fetch_$kind" "$package" "$version" "$folder" >&2 ||
    { rm -rf "$folder"; die "$package $version could not be fetched" "is the network there? then run the same command again"; }
  local found=("$folder"/*)
  has_hash "${found[0]}" "$hash" ||
    die "$package $version has the SHA-256 $(sha256sum "${found[0]}" | cut -d' ' -f1), sources.lock says $hash" \
      "the package changed under its name: do not use it before somebody has looked (it lies in $folder)"
  mv "${found[0]}" "$file"
  rm -rf "$folder"
  printf '%s\n' "$file"
}

fetch_pypi() { # package version folder
  python3 -m pip --version >/dev/null 2>&1 || die "pip is missing" "type: apt-get install python3-pip"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$3" "$1==$2"
}

fetch_npm() {
  command -v npm >/dev/null || die "npm is missing" "type: apt-get install npm"
  npm pack --silent --pack-destination "$3" "$1@$2"
}

# The upstream tarball of a Debian source package, from the mirror that this machine takes its binary packages from. Its
# own configuration usually leaves sources out, so apt gets a private one beside it.
fetch_debian() {
  local apt=$cache/apt mirror
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "bookworm" && $2 == "main" { print $3; exit }')
  [[ -n $mirror ]] || die "apt knows no mirror of Debian 12 (bookworm)" "the guests' sources come from there"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$apt/sources.list"
  cat >"$apt/apt.conf" <<END
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "";
END
  APT_CONFIG=$apt/apt.conf apt-get --quiet update
  (cd "$3" && APT_CONFIG=$apt/apt.conf apt-get --quiet source --download-only --tar-only "$1")
}

fetch_deb() { (cd "$3" && apt-get --quiet -o APT::Sandbox::User= download "$1=$2"); }

# ------------------------------------------------------------------------------------------------------------ parts

# The content of files and folders of the tree, as a list of hashes with names relative to guest/.
content() {
  local path
  for path in "$@"; do
    [[ -e $guest/$path ]] || die "guest/$path is missing"
    (cd "$guest" && find "$path" -type f ! -name '*.pyc' | sort | xargs -r sha256sum)
  done
}

part_key() { # name
  (
    needs=() sources=() files=()
    source "$guest/toolchain/parts/$1"
    content "toolchain/parts/$1" "${files[@]}"
    for name in "${sources[@]}"; do locked "$name" 5; done
    for name in "${needs[@]}"; do part_key "$name"; done
  ) | sha256sum | cut -c1-16
}

part() { # name: its folder, built or not
  local key
  key=$(part_key "$1") || exit 1
  printf '%s\n' "$cache/guest-$1-$key"
}

# The cache keeps the three newest builds of a part, so that changing branches back and forth does not rebuild.
drop_old() { # name
  find "$cache" -maxdepth 1 -regextype posix-extended -regex ".*/guest-$1-[0-9a-f]{16}" -printf '%T@ %p\n' |
    sort -rn | tail -n +4 | cut -d' ' -f2- | while read -r folder; do rm -rf "$folder"; done
}

# A place to compile a part in: tree is this checkout, everything else has the names of the cache.
make_place() { # folder of the part
  local place entry
  place=$(mktemp -d /tmp/altiplano.XXXXXXXX) || die "/tmp cannot be written to" "the guests are compiled there"
  mkdir -p "$cache/sources" "$cache/apt" "$place/${1##*/}"
  ln -s "$root" "$place/tree"
  for entry in sources apt $(cd "$cache" && ls -d guest-*-*/); do
    [[ -e $place/${entry%/} ]] || ln -s "$cache/${entry%/}" "$place/${entry%/}"
  done
  printf '%s\n' "$place"
}

step_number=0
# Builds a part and what it needs, unless they are there. One line per part that is built.
make_part() { # name
  local name=$1 folder need needed=()
  folder=$(part "$name")
  [[ -f $folder/complete ]] && return
  mapfile -t needed < <(needs=(); source "$guest/toolchain/parts/$name"; printf '%s\n' "${needs[@]}")
  for need in "${needed[@]}"; do [[ -z $need ]] || make_part "$need"; done
  mkdir -p "$cache/log"
  local log=$cache/log/guest-$name.log began=$SECONDS
  exec {lock}>"$cache/guest-$name.lock"
  flock "$lock"  # two builds at once: the second finds the work done
  if [[ ! -f $folder/complete ]]; then
    step_number=$((step_number + 1))
    printf '%2d  %-14s' "$step_number" "$name" >&2
    rm -rf "$folder"
    local place=
    if [[ " ${needed[*]} " == *" sysroot "* || " ${needed[*]} " == *" compiler "* ]]; then
      place=$(make_place "$folder")
    else
      mkdir -p "$folder"
    fi
    # In a shell of its own: bash ignores -e in what stands inside an `if`.
    if ! (
      if [[ -n $place ]]; then
        export ALTIPLANO_CACHE=$place guest=$place/tree/guest part=$place/${folder##*/}
      else
        export guest part=$folder
      fi
      exec bash -euo pipefail -c '
        cd "$part" && source "$guest/toolchain/common.sh" && source "$guest/toolchain/parts/$0"
        build_part' "$name"
    ) >"$log" 2>&1; then
      printf ' failed after %d s\n\n' $((SECONDS - began)) >&2
      tail -n 40 "$log" >&2
      [[ -z $place ]] || rm -rf "$place"
      die "the part '$name' of the guest toolchain could not be built" "the whole log is in $log"
    fi
    if [[ -n $place ]]; then
      mv "$place/${folder##*/}" "$folder"
      rm -rf "$place"
    fi
    touch "$folder/complete"
    printf ' %4d s  %s\n' $((SECONDS - began)) "$folder" >&2
    drop_old "$name"
  fi
  exec {lock}>&-
}
