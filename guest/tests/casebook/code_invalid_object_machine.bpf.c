// A good ELF object for the wrong machine.
// clang: -target x86_64-linux-gnu
int main_of_nothing(void)
{
	return 0;
}
