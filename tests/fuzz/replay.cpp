// Runs a fuzzer over the files of a folder: what its corpus has found stays found.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int count, char** values)
{
    int files = 0;
    for (int i = 1; i < count; ++i)
        for (const auto& entry : std::filesystem::directory_iterator(values[i])) {
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string content((std::istreambuf_iterator<char>(file)), {});
            // No terminator behind the end, so that a sanitizer sees a read beyond it.
            const std::basic_string<std::uint8_t> bytes(content.begin(), content.end());
            LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
            // Each of its beginnings too: input that is cut off is the commonest of all.
            for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 64)
                LLVMFuzzerTestOneInput(bytes.data(), size);
            ++files;
        }
    std::printf("%d files\n", files);
    return files > 0 ? 0 : 1;
}
