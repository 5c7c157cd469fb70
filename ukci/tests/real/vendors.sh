#!/bin/sh
# Puts one real kernel of Debian into the packages and the signed repositories of other
# distributions, with the tools of each: rpmbuild, rpmsign, createrepo_c, repo-add, dpkg-deb and gpg.
# apk has no tool in Debian, so that its packages are made of tar, gzip and openssl as its
# documentation says.
#
# usage: vendors.sh KERNEL.deb DIRECTORY ROOT
#
# DIRECTORY gets `www`, which is to be served at the address ROOT, and `keys`.
set -eu
deb=$1 out=$2 root=$3
mkdir -p "$out/www" "$out/keys" "$out/work"
cd "$out/work"

dpkg-deb --extract "$deb" debian
release=$(basename debian/boot/vmlinuz-*)
release=${release#vmlinuz-}
version=${release%%-*}
rest=${release#*-}
build=${rest%%-*}

# Few modules are enough, and quicker: those of the transports and what they depend on.
tree=debian/lib/modules/$release
mkdir -p modules/drivers modules/net
cp -r "$tree/kernel/drivers/virtio" modules/drivers/
mkdir -p modules/drivers/char
cp "$tree"/kernel/drivers/char/virtio_console.ko modules/drivers/char/
cp -r "$tree/kernel/net/vmw_vsock" modules/net/

GNUPGHOME=$PWD/gnupg
export GNUPGHOME
mkdir -m 700 gnupg
gpg --batch --quiet --passphrase '' --quick-generate-key 'Vendor <vendor@example.org>' rsa2048 sign never
gpg --batch --armor --export >"$out/keys/vendor.asc"
fingerprint=$(gpg --batch --with-colons --list-keys | awk -F: '$1 == "fpr" { print $10; exit }')
sign() { gpg --batch --yes --armor --detach-sign --output "$1.asc" "$1"; }

# --- What a kernel installs. `tree DIRECTORY COMPRESSION` fills `lib/modules/<release>`.
fill() {
  mkdir -p "$1"
  cp debian/boot/vmlinuz-"$release" "$1/vmlinuz"
  cp debian/boot/config-"$release" "$1/config"
  cp debian/boot/System.map-"$release" "$1/System.map"
}
modules() {
  mkdir -p "$1"
  cp -r modules "$1/kernel"
  cp "$tree/modules.builtin" "$1/"
  case $2 in
    xz) find "$1" -name '*.ko' -exec xz --check=crc32 {} + ;;
    zst) find "$1" -name '*.ko' -exec zstd --quiet --rm {} + ;;
    gz) find "$1" -name '*.ko' -exec gzip {} + ;;
  esac
}

# --- RPM. `rpm STAGE PAYLOAD REPOSITORY NAME FILES [NAME FILES]...`
rpm_packages() {
  stage=$PWD/$1 payload=$2 repository=$out/www/$3
  shift 3
  spec=$stage.spec
  {
    printf 'Name: source\nVersion: %s\nRelease: %s\nSummary: x\nLicense: GPL-2.0-only\n' "$version" "$build"
    # shellcheck disable=SC2016 # They are RPM's.
    printf '%%global debug_package %%{nil}\n%%global __os_install_post %%{nil}\n%%description\nx\n'
    while [ $# -gt 0 ]; do
      printf '%%package -n %s\nSummary: x\nAutoReqProv: no\n%%description -n %s\nx\n' "$1" "$1"
      printf '%%files -n %s\n' "$1"
      for file in $2; do printf '%s\n' "$file"; done
      shift 2
    done
    printf '%%install\nmkdir -p %%{buildroot}\ncp -a %s/. %%{buildroot}/\n' "$stage"
  } >"$spec"
  mkdir -p "$repository"
  rpmbuild --quiet -bb --target x86_64 --define "_topdir $stage.rpm" --define "_rpmdir $repository" \
    --define "_binary_payload $payload" "$spec" >"$stage.log" 2>&1 || { cat "$stage.log"; exit 1; }
}
repository() {
  createrepo_c --quiet "$out/www/$1"
  sign "$out/www/$1/repodata/repomd.xml"
}
rpm_sign() {
  find "$out/www/$1" -name '*.rpm' -exec rpmsign --define "_gpg_name $fingerprint" \
    --define "__gpg $(command -v gpg)" --addsign {} + >/dev/null 2>&1
}

# RHEL's and Fedora's.
fill rhel/lib/modules/"$release"
modules rhel/lib/modules/"$release" xz
lib=/lib/modules/$release
rpm_packages rhel w2.xzdio rhel \
  kernel-core "$lib/vmlinuz $lib/config $lib/System.map $lib/modules.builtin" \
  kernel-modules-core "$lib/kernel/drivers/virtio $lib/kernel/net" \
  kernel-modules "$lib/kernel/drivers/char"
repository rhel

# Oracle's, whose packages alone are signed.
cp -r rhel uek
rpm_packages uek w2.xzdio uek \
  kernel-uek-core "$lib/vmlinuz $lib/config $lib/System.map $lib/modules.builtin" \
  kernel-uek-modules "$lib/kernel"
rpm_sign uek
repository uek
rm "$out/www/uek/repodata/repomd.xml.asc"

# Amazon's: one package, which is somewhere else than the metadata, and a list that leads there.
mkdir -p amazon/boot
for file in vmlinuz config System.map; do cp "debian/boot/$file-$release" amazon/boot/; done
modules amazon/lib/modules/"$release" none
rpm_packages amazon w9.gzdio amazon/core/guid kernel "/boot/* $lib"
rpm_sign amazon
repository amazon/core/guid
mkdir -p "$out/www/amazon/blobstore" "$out/www/amazon/latest"
mv "$out"/www/amazon/core/guid/x86_64/*.rpm "$out/www/amazon/blobstore/"
(cd "$out/www/amazon/core/guid" && createrepo_c --quiet --location-prefix ../../blobstore \
  --outputdir . ../../blobstore)
echo "$root/amazon/core/guid" >"$out/www/amazon/latest/mirror.list"

# Azure Linux's: one package, not compressed.
cp -r amazon azure
rpm_packages azure w.ufdio azure kernel "/boot/* $lib"
repository azure

# SUSE's: below /usr, with the uncompressed kernel beside the other, in zstd.
fill suse/usr/lib/modules/"$release"
modules suse/usr/lib/modules/"$release" zst
head -c 4096 /dev/zero | xz >suse/usr/lib/modules/"$release"/vmlinux.xz
rpm_packages suse w3.zstdio suse kernel-default "/usr/lib/modules/$release"
repository suse

# --- pacman. The configuration is in no package.
fill arch/usr/lib/modules/"$release"
rm arch/usr/lib/modules/"$release"/config arch/usr/lib/modules/"$release"/System.map
modules arch/usr/lib/modules/"$release" zst
printf 'pkgname = linux\npkgbase = linux\npkgver = %s-%s\npkgdesc = x\nurl = x\nbuilddate = %s\npackager = x\nsize = 1\narch = x86_64\nlicense = GPL2\n' \
  "$version" "$build" "$(date +%s)" >arch/.PKGINFO
mkdir -p "$out/www/arch"
package=linux-$version-$build-x86_64.pkg.tar.zst
(cd arch && bsdtar --format=mtree --options='!all,use-set,type,uid,gid,mode,time,size,sha256,link' \
  -czf .MTREE .PKGINFO usr && bsdtar -cf - .PKGINFO .MTREE usr) | zstd --quiet -o "$out/www/arch/$package"
gpg --batch --detach-sign --output "$out/www/arch/$package.sig" "$out/www/arch/$package"
(cd "$out/www/arch" && repo-add --quiet core.db.tar.gz "$package" >/dev/null)

# --- apk.
openssl genrsa -out apk.rsa 2048 2>/dev/null
openssl rsa -in apk.rsa -pubout -out "$out/keys/test.rsa.pub" 2>/dev/null
mkdir -p alpine/boot "$out/www/alpine/x86_64"
cp debian/boot/vmlinuz-"$release" alpine/boot/vmlinuz-cloud-amd64
cp debian/boot/config-"$release" alpine/boot/config-"$release"
modules alpine/lib/modules/"$release" gz
# A tar archive without its end, compressed, as `abuild-tar --cut` makes it.
cut() {
  tar --format=ustar --blocking-factor=1 -cf - "$@" | head -c -1024 | gzip --no-name
}
signed() {
  openssl dgst -sha1 -sign apk.rsa -out .SIGN.RSA.test.rsa.pub "$1"
  cut .SIGN.RSA.test.rsa.pub | cat - "$1"
}
tar --format=pax -C alpine -cf - boot lib | gzip --no-name >data.tar.gz
printf 'pkgname = linux-cloud\npkgver = %s-r%s\narch = x86_64\ndatahash = %s\n' \
  "$version" "$build" "$(sha256sum data.tar.gz | awk '{ print $1 }')" >.PKGINFO
cut .PKGINFO >control.tar.gz
cat control.tar.gz data.tar.gz >unsigned.apk
openssl dgst -sha1 -sign apk.rsa -out .SIGN.RSA.test.rsa.pub control.tar.gz
apk=$out/www/alpine/x86_64/linux-cloud-$version-r$build.apk
cut .SIGN.RSA.test.rsa.pub | cat - unsigned.apk >"$apk"
printf 'C:Q1%s\nP:linux-cloud\nV:%s-r%s\nA:x86_64\nS:%s\nt:%s\n\n' \
  "$(openssl dgst -sha1 -binary control.tar.gz | base64)" "$version" "$build" \
  "$(stat -c %s "$apk")" "$(date +%s)" >APKINDEX
cut APKINDEX >index.tar.gz
signed index.tar.gz >"$out/www/alpine/x86_64/APKINDEX.tar.gz"

# --- dpkg, as Ubuntu splits its kernels.
deb_package() {
  mkdir -p "$1/DEBIAN"
  printf 'Package: %s\nVersion: %s-%s.1\nArchitecture: amd64\nMaintainer: x <x@example.org>\nDescription: x\n' \
    "$1" "$version" "$build" >"$1/DEBIAN/control"
  dpkg-deb -Zzstd --root-owner-group --build "$1" "$out/www/ubuntu/pool/$1.deb" >/dev/null
}
mkdir -p "$out/www/ubuntu/pool" linux-image-unsigned-"$release"/boot linux-modules-"$release"/boot
cp debian/boot/vmlinuz-"$release" linux-image-unsigned-"$release"/boot/
cp debian/boot/config-"$release" debian/boot/System.map-"$release" linux-modules-"$release"/boot/
modules linux-modules-"$release"/lib/modules/"$release" zst
deb_package linux-image-unsigned-"$release"
deb_package linux-modules-"$release"
dists=$out/www/ubuntu/dists/noble
mkdir -p "$dists/main/binary-amd64"
(cd "$out/www/ubuntu" && dpkg-scanpackages --multiversion pool 2>/dev/null) >Packages
xz --keep --stdout Packages >"$dists/main/binary-amd64/Packages.xz"
{
  printf 'Suite: noble\nCodename: noble\nDate: %s\nSHA256:\n' "$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S UTC')"
  printf ' %s %s main/binary-amd64/Packages.xz\n' \
    "$(sha256sum "$dists/main/binary-amd64/Packages.xz" | awk '{ print $1 }')" \
    "$(stat -c %s "$dists/main/binary-amd64/Packages.xz")"
} >Release
gpg --batch --yes --clearsign --output "$dists/InRelease" Release

# --- The streams.
rsa=$(openssl rsa -pubin -in "$out/keys/test.rsa.pub" -outform der 2>/dev/null | sha256sum | awk '{ print toupper($1) }')
flavor=${rest#*-}
{
  printf '[keys]\nopenpgp = ["%s"]\nrsa = ["%s"]\n' "$fingerprint" "$rsa"
  layout() {
    printf '\n[layouts.%s]\nformat = "%s"\nuname = "%s"\npackages = [%s]\n' "$1" "$2" "$3" "$4"
  }
  part() {
    printf '{ name = "%s", roles = [%s]%s },' "$1" "$2" "${3:-}"
  }
  all='"image", "config", "modules"'
  uname="{version}-{release}-$flavor"
  layout rhel rpm-md "$uname" "$(part kernel-core '"image", "config"')$(part kernel-modules-core '"modules"' ', optional = true')$(part kernel-modules '"modules"')"
  layout uek rpm-md "$uname" "$(part kernel-uek-core '"image", "config"')$(part kernel-uek-modules-core '"modules"' ', optional = true')$(part kernel-uek-modules '"modules"')"
  layout kernel rpm-md "$uname" "$(part kernel "$all")"
  layout suse rpm-md "$uname" "$(part kernel-default "$all")"
  layout arch pacman "{kernel}-{release}-$flavor" "$(part linux '"image", "modules"')"
  layout alpine apk "$uname" "$(part linux-cloud "$all")"
  layout ubuntu deb "*-$flavor" "$(part 'linux-image-unsigned-{uname}' '"image"')$(part 'linux-modules-{uname}' '"config", "modules"')$(part 'linux-modules-extra-{uname}' '"modules"' ', optional = true')"
  stream() {
    printf '\n[[stream]]\ndistro = "%s"\nrelease = "1"\narches = ["x86_64"]\narchive = "%s"\nindices = ["%s"]\nlayout = "%s"\nsigned = "%s"\nkeys = "%s"\n' "$@"
  }
  stream almalinux test rhel rhel index openpgp
  stream oracle test uek uek packages openpgp
  stream amazon test amazon/latest/mirror.list kernel packages openpgp
  stream azurelinux test azure kernel index openpgp
  stream opensuse test suse suse index openpgp
  stream arch test arch/core.db arch packages openpgp
  stream alpine test 'alpine/{arch}' alpine index rsa
  stream ubuntu test-ubuntu noble ubuntu index openpgp
} >"$out/streams.toml"
gpgconf --kill gpg-agent
