#pragma once

#include "base/files.hpp"

#include <cstdlib>
#include <gtest/gtest.h>

namespace altiplano {

/// An empty folder for one test alone, however many run at once; gone with the object.
class TestFolder {
public:
    TestFolder()
    {
        std::string name = testing::TempDir() + "/altiplano-XXXXXX";
        if (mkdtemp(name.data()))
            path_ = name;
        else
            ADD_FAILURE() << "no temporary folder " << name;
    }
    ~TestFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;

    operator const Path&() const noexcept { return path_; }
    Path operator/(const Path& name) const { return path_ / name; }

private:
    Path path_;
};

}  // namespace altiplano
