# Makes doxygen read the headers' plain comments: one before a declaration is about it, one behind a member is about that,
# the first of a file about the file. Whatever is a command or a tag to doxygen is text to us.

function escaped(text) {
    gsub(/[\\@#<>&%]/, "\\\\&", text)
    sub(/^[ *]*\.\. /, "\\&nbsp;&", text) # a dot at the start of a line would end a list
    return text
}

# A heading inside a file, or an order to a tool, is about no declaration.
function is_aside(text) {
    return text ~ /^ (---|clang-format)/
}

{
    line = $0
    if (!inside) {
        begin = index(line, "/*")
        if (!begin) {
            print line
            next
        }
        before = substr(line, 1, begin - 1)
        text = substr(line, begin + 2)
        aside = is_aside(text)
        opening = before ~ /^ *$/ ? "/**" : "/**<"
        if (aside)
            opening = "/*"
        else if (NR == 1)
            opening = "/** @file\n *"
        inside = 1
    } else {
        before = opening = ""
        text = line
    }
    end = index(text, "*/")
    rest = ""
    if (end) {
        rest = substr(text, end)
        text = substr(text, 1, end - 1)
        inside = 0
    }
    print before opening (aside ? text : escaped(text)) rest
}
