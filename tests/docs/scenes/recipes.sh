# For the recipes of README: keys of different ages, one of which has leaked.
. "$ROOT/tests/docs/scenes/keys.sh"
cp laptop-key leaked.txt
chmod 600 leaked.txt
